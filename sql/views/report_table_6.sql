-- Report, Table 6: how accurate is the latest test evaluation on each contrast?
-- about: newest_evaluation

-- 1e-9 lets halves round up on every database: 0.845 is slightly less in binary.
SELECT
    contrast,
    n,
    ROUND(CAST(100 * accuracy + 1e-9 AS NUMERIC), 1) AS "%"
FROM contrast_metric
WHERE evaluation_id = (
    SELECT id FROM evaluation WHERE split IN ('test', 'all') ORDER BY created_at DESC, id DESC LIMIT 1
)
ORDER BY contrast

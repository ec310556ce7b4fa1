-- Report, Table 5: how good is the latest test evaluation on each class, the lowest F1 first?
-- As in the report, classes with the same rounded F1 are sorted by name.
-- about: newest_evaluation

-- 1e-9 lets halves round up on every database: 0.845 is slightly less in binary.
SELECT
    label,
    ROUND(CAST(precision + 1e-9 AS NUMERIC), 2) AS "precision",
    ROUND(CAST(recall + 1e-9 AS NUMERIC), 2) AS "recall",
    ROUND(CAST(f1 + 1e-9 AS NUMERIC), 2) AS f1score,
    support
FROM class_metric
WHERE evaluation_id = (
    SELECT id FROM evaluation WHERE split IN ('test', 'all') ORDER BY created_at DESC, id DESC LIMIT 1
)
ORDER BY ROUND(CAST(f1 + 1e-9 AS NUMERIC), 2), label

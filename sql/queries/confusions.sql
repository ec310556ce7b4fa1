-- Which classes does the latest test evaluation confuse, the most frequent confusion first?
-- "share" is relative to all images of the true class. A pooled evaluation of a cross-validation counts too.

-- 1e-9 lets halves round up on every database: 0.845 is slightly less in binary.
WITH cell AS (
    SELECT
        true_label,
        predicted_label,
        n,
        SUM(n) OVER (PARTITION BY true_label) AS n_true
    FROM confusion
    WHERE evaluation_id = (
        SELECT id FROM evaluation WHERE split IN ('test', 'all') ORDER BY created_at DESC, id DESC LIMIT 1
    )
)
SELECT
    true_label,
    predicted_label AS taken_for,
    n,
    ROUND(CAST(1.0 * n / n_true + 1e-9 AS NUMERIC), 3) AS share
FROM cell
WHERE true_label <> predicted_label
ORDER BY n DESC, n_true, true_label, predicted_label

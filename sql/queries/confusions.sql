-- Which classes does the champion confuse in its latest test evaluation, the most frequent confusion first?
-- "share" is relative to all images of the true class. A pooled evaluation of a cross-validation counts too.
-- about: evaluation
-- empty: no test image was given a wrong class
-- :model  a model id or the start of one; default: the champion, without one the model evaluated last

-- 1e-9 lets halves round up on every database: 0.845 is slightly less in binary.
WITH cell AS (
    SELECT
        true_label,
        predicted_label,
        n,
        SUM(n) OVER (PARTITION BY true_label) AS n_true
    FROM confusion
    WHERE evaluation_id = :evaluation
)
SELECT
    true_label,
    predicted_label AS taken_for,
    n,
    ROUND(CAST(1.0 * n / n_true + 1e-9 AS NUMERIC), 3) AS share
FROM cell
WHERE true_label <> predicted_label
ORDER BY n DESC, n_true, true_label, predicted_label

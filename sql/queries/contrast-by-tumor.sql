-- How accurate is the champion on each tumor in each contrast, the tumor with the lowest accuracy first?
-- An image counts as right if tumor and contrast are right. "n" is the number of images.
-- about: evaluation
-- :model  a model id or the start of one; default: the champion, without one the model evaluated last
WITH class_result AS (
    SELECT tumor, COALESCE(contrast, '') AS contrast, support, support * recall AS n_right
    FROM class_metric
    WHERE evaluation_id = :evaluation
)
SELECT
    tumor,
    CAST(SUM(support) AS INTEGER) AS n,
    SUM(n_right) / NULLIF(SUM(support), 0) AS accuracy,
    CAST(SUM(CASE WHEN contrast = 'T1' THEN support END) AS INTEGER) AS "T1 n",
    SUM(CASE WHEN contrast = 'T1' THEN n_right END)
    / NULLIF(SUM(CASE WHEN contrast = 'T1' THEN support END), 0) AS "T1",
    CAST(SUM(CASE WHEN contrast = 'T1C+' THEN support END) AS INTEGER) AS "T1C+ n",
    SUM(CASE WHEN contrast = 'T1C+' THEN n_right END)
    / NULLIF(SUM(CASE WHEN contrast = 'T1C+' THEN support END), 0) AS "T1C+",
    CAST(SUM(CASE WHEN contrast = 'T2' THEN support END) AS INTEGER) AS "T2 n",
    SUM(CASE WHEN contrast = 'T2' THEN n_right END)
    / NULLIF(SUM(CASE WHEN contrast = 'T2' THEN support END), 0) AS "T2"
FROM class_result
GROUP BY tumor
HAVING SUM(support) > 0
ORDER BY accuracy, tumor

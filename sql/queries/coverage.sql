-- How accurate is the champion if it answers only for the 80, 90 or 95 % of the test images it is most confident of?
-- At least that share of the images, as on the report page. "threshold" is the lowest probability among them. Images of equal probability are taken by path.
-- about: evaluation
-- empty: this evaluation is older than the rows of its images; run: mri evaluate
-- :model  a model id or the start of one; default: the champion, without one the model evaluated last
WITH image AS (
    SELECT
        probability,
        CASE WHEN predicted_label = true_label THEN 1 ELSE 0 END AS is_right,
        ROW_NUMBER() OVER (ORDER BY probability DESC, path) AS place,
        COUNT(*) OVER () AS n
    FROM evaluated_image
    WHERE evaluation_id = :evaluation
),
level AS (
    SELECT 80 AS coverage
    UNION ALL
    SELECT 90
    UNION ALL
    SELECT 95
    UNION ALL
    SELECT 100
)
SELECT
    level.coverage,
    COUNT(*) AS images,
    MIN(image.probability) AS threshold,
    AVG(1.0 * image.is_right) AS accuracy,
    CAST(SUM(1 - image.is_right) AS INTEGER) AS wrong
FROM level
INNER JOIN image ON (image.place - 1) * 100 < level.coverage * image.n
GROUP BY level.coverage
ORDER BY level.coverage

-- What is the result for each file of the folder that was scored last, the lowest probability first?
-- A file that an earlier run scored keeps that run's row. Rejected files have no probability and come last.
-- about: run
WITH latest AS (
    SELECT model_id, folder FROM scoring_run WHERE id = :run
),
below AS (
    SELECT
        prediction.*,
        ROW_NUMBER() OVER (PARTITION BY prediction.path ORDER BY prediction.scored_at DESC, prediction.run_id DESC) AS age
    FROM prediction
    INNER JOIN latest ON prediction.model_id = latest.model_id
    WHERE SUBSTR(prediction.path, 1, LENGTH(latest.folder) + 1) = latest.folder || '/'
)
SELECT path, status, label, probability, reason, scored_at
FROM below
WHERE age = 1
ORDER BY CASE WHEN probability IS NULL THEN 1 ELSE 0 END, probability, path

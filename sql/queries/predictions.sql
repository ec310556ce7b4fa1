-- What is the result for each file of the folder that was scored last, the lowest probability first?
-- The content that the run found: a file that an earlier run scored keeps that run's row, a file that is gone has none.
-- Rejected files have no probability and come last.
-- about: run
WITH latest AS (
    SELECT model_id, folder, started_at FROM scoring_run WHERE id = :run
),
below AS (
    SELECT
        prediction.*,
        ROW_NUMBER() OVER (PARTITION BY prediction.path ORDER BY prediction.seen_at DESC, prediction.sha256) AS age
    FROM prediction
    INNER JOIN latest ON prediction.model_id = latest.model_id
    WHERE
        SUBSTR(prediction.path, 1, LENGTH(latest.folder) + 1) = latest.folder || '/'
        AND prediction.seen_at >= latest.started_at
)
SELECT path, status, label, probability, reason, distance, scored_at
FROM below
WHERE age = 1
ORDER BY CASE WHEN probability IS NULL THEN 1 ELSE 0 END, probability, path

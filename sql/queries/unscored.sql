-- Which files of a folder have no result, and why?
-- Shows the last attempt at each file, by any model. Files that no scoring run has reached have no row.
-- :folder  a folder that was scored, or one below or above it; default: the folder scored last
WITH chosen AS (
    SELECT COALESCE(
        CAST(:folder AS TEXT),
        (SELECT folder FROM scoring_run ORDER BY started_at DESC, id DESC LIMIT 1)
    ) AS folder
),
attempt AS (
    SELECT
        prediction.*,
        ROW_NUMBER() OVER (
            PARTITION BY prediction.path
            ORDER BY
                CASE WHEN prediction.scored_at IS NULL THEN 1 ELSE 0 END,
                prediction.scored_at DESC,
                prediction.run_id DESC
        ) AS age
    FROM prediction
    INNER JOIN chosen ON SUBSTR(prediction.path, 1, LENGTH(chosen.folder) + 1) = chosen.folder || '/'
)
SELECT path, status, reason
FROM attempt
WHERE age = 1 AND status <> 'scored'
ORDER BY reason, path

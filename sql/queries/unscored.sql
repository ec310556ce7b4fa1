-- Which files of a folder have no result, and why?
-- Shows the last attempt at each file, by any model. Files that no scoring run has reached have no row.
-- about: folder
-- empty: every file there that a scoring run reached has a result
-- :folder  a folder that was scored, or one below or above it; default: the folder scored last
WITH attempt AS (
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
    WHERE SUBSTR(prediction.path, 1, LENGTH(CAST(:folder AS TEXT)) + 1) = CAST(:folder AS TEXT) || '/'
)
SELECT path, status, reason
FROM attempt
WHERE age = 1 AND status <> 'scored'
ORDER BY reason, path

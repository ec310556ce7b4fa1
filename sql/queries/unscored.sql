-- Which files of a folder have no result, and why?
-- Shows the last attempt at each file, by any model. Files that no scoring run has reached, and files that the last run
-- no longer found, have no row. Slices that are left out by choice are not listed.
-- about: folder
-- empty: every file there that a scoring run reached has a result
-- :folder  a folder that was scored, or one below or above it; default: the folder scored last
WITH attempt AS (
    SELECT
        prediction.*,
        ROW_NUMBER() OVER (
            PARTITION BY prediction.path
            ORDER BY
                CASE WHEN prediction.seen_at IS NULL THEN 1 ELSE 0 END,
                prediction.seen_at DESC,
                prediction.run_id DESC
        ) AS age
    FROM prediction
    WHERE SUBSTR(prediction.path, 1, LENGTH(CAST(:folder AS TEXT)) + 1) = CAST(:folder AS TEXT) || '/'
)
SELECT path, status, reason
FROM attempt
WHERE
    age = 1
    AND status <> 'scored'
    AND (reason IS NULL OR SUBSTR(reason, 1, 14) <> 'slice left out')
    AND NOT EXISTS (
        SELECT 1
        FROM scoring_run
        WHERE
            scoring_run.status = 'finished'
            AND scoring_run.started_at > attempt.seen_at
            AND SUBSTR(attempt.path, 1, LENGTH(scoring_run.folder) + 1) = scoring_run.folder || '/'
    )
ORDER BY reason, path

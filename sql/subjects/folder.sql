-- A folder, by default the one that was scored last.
SELECT COALESCE(CAST(:folder AS TEXT), folder) AS folder
FROM scoring_run
WHERE
    CAST(:folder AS TEXT) IS NULL
    OR folder = CAST(:folder AS TEXT)
    OR SUBSTR(folder, 1, LENGTH(CAST(:folder AS TEXT)) + 1) = CAST(:folder AS TEXT) || '/'
    OR SUBSTR(CAST(:folder AS TEXT), 1, LENGTH(folder) + 1) = folder || '/'
ORDER BY started_at DESC, id DESC
LIMIT 1

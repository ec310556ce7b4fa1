-- A folder, by default the one that was scored last.
SELECT COALESCE(
    CAST(:folder AS TEXT),
    (SELECT folder FROM scoring_run ORDER BY started_at DESC, id DESC LIMIT 1)
) AS folder

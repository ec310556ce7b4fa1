-- The scoring run that started last.
SELECT id AS run
FROM scoring_run
ORDER BY started_at DESC, id DESC
LIMIT 1

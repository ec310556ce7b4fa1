-- The latest test evaluation of all.
SELECT id AS evaluation
FROM evaluation
WHERE split IN ('test', 'all')
ORDER BY created_at DESC, id DESC
LIMIT 1

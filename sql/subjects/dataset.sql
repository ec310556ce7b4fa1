-- The data set that was ingested last, but for images that arrived later.
SELECT digest AS dataset
FROM dataset
WHERE profile <> 'arrived'
ORDER BY ingested_at DESC, digest DESC
LIMIT 1

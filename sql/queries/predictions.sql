-- What did the latest scoring run say of each new file, the least sure first?
-- Files without a probability (rejected ones) come last.
SELECT path, status, label, probability, reason, scored_at
FROM prediction
WHERE run_id = (SELECT id FROM scoring_run ORDER BY started_at DESC, id DESC LIMIT 1)
ORDER BY CASE WHEN probability IS NULL THEN 1 ELSE 0 END, probability, path

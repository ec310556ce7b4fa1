-- Which ten classes have the lowest F1 in the latest test evaluation?
-- "groups" is the number of independent sources that the tested images of a class are from: with few, its figures
-- mean little.
SELECT label, f1, precision, recall, support, n_groups AS "groups"
FROM class_metric
WHERE evaluation_id = (
    SELECT id FROM evaluation WHERE split IN ('test', 'all') ORDER BY created_at DESC, id DESC LIMIT 1
)
AND support > 0
ORDER BY f1, label
LIMIT 10

-- Which ten classes does the model know least, in the latest test evaluation?
SELECT label, f1, precision, recall, support
FROM class_metric
WHERE evaluation_id = (
    SELECT id FROM evaluation WHERE split = 'test' ORDER BY created_at DESC, id DESC LIMIT 1
)
ORDER BY f1, label
LIMIT 10

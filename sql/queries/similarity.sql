-- How accurate is the latest test evaluation by similarity (-1 to 1) of an image to its nearest training image?
-- "nearest" is the accuracy of the class of that training image, without any network; "other class" the mean
-- similarity to the nearest training image of another class. Accuracy that falls with similarity is memory.
SELECT
    similarity,
    low AS "from",
    high AS "to",
    n,
    accuracy,
    macro_f1,
    nearest_accuracy AS nearest,
    nearest_other AS "other class"
FROM similarity_metric
WHERE evaluation_id = (
    SELECT id FROM evaluation WHERE split IN ('test', 'all') ORDER BY created_at DESC, id DESC LIMIT 1
)
ORDER BY similarity DESC, low DESC

-- How accurate is the champion by similarity (-1 to 1) of a test image to its nearest training image?
-- "nearest" is the accuracy of the class of that training image, without any network; "other class" the mean
-- similarity to the nearest training image of another class. Accuracy that falls with similarity is memory.
-- :model  a model id or the start of one; default: the champion, without one the model evaluated last
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
    SELECT evaluation_id
    FROM latest_evaluation
    WHERE model_id = CAST(:model AS TEXT) OR (CAST(:model AS TEXT) IS NULL AND is_default = 1)
)
ORDER BY similarity DESC, low DESC

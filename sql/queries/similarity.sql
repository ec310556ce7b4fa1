-- How accurate is the champion by similarity (-1 to 1) of a test image to its nearest training image?
-- "nearest" is the accuracy of the class of that training image, without any network; "other class" the mean
-- similarity to the nearest training image of another class. Accuracy that falls with similarity is memory.
-- about: evaluation
-- empty: this evaluation is older than the measure of similarity; run: mri evaluate
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
WHERE evaluation_id = :evaluation
ORDER BY similarity DESC, low DESC

-- Which tumors does the champion confuse within one contrast, the most frequent confusion first?
-- "share" is relative to "images", those of the true tumor in this contrast. In data without contrasts all confusions
-- are here.
-- about: evaluation
-- empty: no test image was taken for another tumor of its contrast
-- :model  a model id or the start of one; default: the champion, without one the model evaluated last
WITH cell AS (
    SELECT
        true_class.tumor AS true_tumor,
        true_class.contrast AS true_contrast,
        answer.tumor AS answer_tumor,
        answer.contrast AS answer_contrast,
        confusion.n,
        SUM(confusion.n) OVER (PARTITION BY confusion.true_label) AS n_true
    FROM confusion
    INNER JOIN class_metric AS true_class
        ON confusion.evaluation_id = true_class.evaluation_id AND confusion.true_label = true_class.label
    INNER JOIN class_metric AS answer
        ON confusion.evaluation_id = answer.evaluation_id AND confusion.predicted_label = answer.label
    WHERE confusion.evaluation_id = :evaluation
)
SELECT
    true_contrast AS contrast,
    true_tumor AS tumor,
    answer_tumor AS taken_for,
    n,
    CAST(n_true AS INTEGER) AS images,
    1.0 * n / n_true AS share
FROM cell
WHERE true_tumor <> answer_tumor AND COALESCE(true_contrast, '') = COALESCE(answer_contrast, '')
ORDER BY n DESC, n_true, true_contrast, true_tumor, answer_tumor

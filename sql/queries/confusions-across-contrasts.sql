-- For which tumors does the champion find the tumor but not the contrast, the most frequent confusion first?
-- "share" is relative to "images", those of this tumor in its true contrast.
-- about: evaluation
-- empty: no test image was taken for its tumor in another contrast
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
    true_tumor AS tumor,
    true_contrast AS contrast,
    answer_contrast AS taken_for,
    n,
    CAST(n_true AS INTEGER) AS images,
    1.0 * n / n_true AS share
FROM cell
WHERE true_tumor = answer_tumor AND true_contrast <> answer_contrast
ORDER BY n DESC, n_true, true_tumor, true_contrast, answer_contrast

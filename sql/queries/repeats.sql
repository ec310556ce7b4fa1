-- What do repeated trainings (seeds, folds) say together: mean, lowest and highest test accuracy and macro-F1?
SELECT
    model.sweep_id,
    model.protocol,
    model.image_size,
    COUNT(*) AS models,
    AVG(evaluation.accuracy) AS accuracy,
    MIN(evaluation.accuracy) AS accuracy_lowest,
    MAX(evaluation.accuracy) AS accuracy_highest,
    AVG(evaluation.macro_f1) AS macro_f1,
    MIN(evaluation.macro_f1) AS macro_f1_lowest,
    MAX(evaluation.macro_f1) AS macro_f1_highest,
    AVG(evaluation.tumor_accuracy) AS tumor_accuracy,
    AVG(evaluation.contrast_accuracy) AS contrast_accuracy
FROM evaluation
INNER JOIN model ON evaluation.model_id = model.id
WHERE
    evaluation.split = 'test'
    AND NOT EXISTS (
        SELECT 1
        FROM evaluation AS newer
        WHERE
            newer.model_id = evaluation.model_id
            AND newer.split = 'test'
            AND (newer.created_at, newer.id) > (evaluation.created_at, evaluation.id)
    )
GROUP BY model.sweep_id, model.protocol, model.image_size
ORDER BY MAX(evaluation.created_at) DESC, model.sweep_id

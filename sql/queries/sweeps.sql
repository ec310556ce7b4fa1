-- How do the models of each sweep (sizes, seeds, folds) do on the test split: mean, lowest and highest, newest first?
-- Uses the latest test evaluation of each model, if it has one. The pooled figures are those of all folds together.
-- empty: there is no sweep yet; run: mri train --seeds 3
WITH test_evaluation AS (
    SELECT
        evaluation.*,
        ROW_NUMBER() OVER (PARTITION BY model_id, sweep_id, dataset_digest ORDER BY created_at DESC, id DESC) AS age
    FROM evaluation
    WHERE split = 'test'
)
SELECT
    sweep.id AS sweep_id,
    sweep.kind,
    model.protocol,
    model.image_size,
    COUNT(*) AS models,
    AVG(test.accuracy) AS accuracy,
    MIN(test.accuracy) AS accuracy_lowest,
    MAX(test.accuracy) AS accuracy_highest,
    AVG(test.macro_f1) AS macro_f1,
    MIN(test.macro_f1) AS macro_f1_lowest,
    MAX(test.macro_f1) AS macro_f1_highest,
    AVG(test.tumor_accuracy) AS tumor_accuracy,
    AVG(test.contrast_accuracy) AS contrast_accuracy,
    MAX(pooled.accuracy) AS pooled_accuracy,
    MAX(pooled.macro_f1) AS pooled_macro_f1
FROM sweep
INNER JOIN sweep_model ON sweep.id = sweep_model.sweep_id
INNER JOIN model ON sweep_model.model_id = model.id
LEFT JOIN test_evaluation AS test
    ON
        model.id = test.model_id
        AND test.dataset_digest = COALESCE(model.dataset_digest, test.dataset_digest)
        AND test.age = 1
LEFT JOIN test_evaluation AS pooled ON sweep.id = pooled.sweep_id AND pooled.age = 1
GROUP BY sweep.id, sweep.kind, sweep.recorded_at, model.protocol, model.image_size
ORDER BY sweep.recorded_at DESC, sweep.id, model.image_size, model.protocol

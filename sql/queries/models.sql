-- Which models are there, at which stage, and how good are they on validation and on their own test split?
-- Newest first. A stopped training can resume. The test figures are of the latest evaluation: mri query evaluations.
-- "fold 1/5": the first of five folds of a cross-validation, which is always grouped; trained on a part of the images.
SELECT
    model.created_at,
    model.id,
    model_stage.stage,
    model.status,
    CASE WHEN model.fold IS NULL THEN model.protocol ELSE 'fold ' || model.fold || '/' || model.folds END AS protocol,
    model.image_size AS size,
    model.val_f1,
    tested.accuracy AS "test accuracy",
    tested.macro_f1 AS "test f1"
FROM model
INNER JOIN model_stage ON model.id = model_stage.model_id
LEFT JOIN latest_evaluation AS newest ON model.id = newest.model_id
LEFT JOIN evaluation AS tested ON newest.evaluation_id = tested.id
ORDER BY model.created_at DESC, model.id DESC

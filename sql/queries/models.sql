-- Which models are there, at which stage, and how good are they on the validation split, newest first?
-- A stopped training can resume.
SELECT
    model.created_at,
    model.id,
    model_stage.stage,
    model.status,
    model.protocol,
    model.image_size,
    model.epochs,
    model.best_epoch,
    model.val_accuracy,
    model.val_precision,
    model.val_recall,
    model.val_f1,
    model.seconds,
    model.device
FROM model
INNER JOIN model_stage ON model.id = model_stage.model_id
ORDER BY model.created_at DESC, model.id DESC

-- Which models are there, and how good are they on the validation split, newest first?
-- A stopped training can resume.
SELECT
    created_at,
    id,
    status,
    protocol,
    image_size,
    epochs,
    best_epoch,
    val_accuracy,
    val_precision,
    val_recall,
    val_f1,
    seconds,
    device
FROM model
ORDER BY created_at DESC, id DESC

-- How did each epoch of the newest model go? It may still be in training.
SELECT
    epoch.model_id,
    epoch.epoch,
    epoch.learning_rate,
    epoch.train_loss,
    epoch.train_accuracy,
    epoch.val_loss,
    epoch.val_accuracy,
    epoch.val_f1,
    epoch.seconds
FROM epoch
WHERE epoch.model_id = (SELECT id FROM model ORDER BY created_at DESC, id DESC LIMIT 1)
ORDER BY epoch.epoch

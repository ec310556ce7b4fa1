-- How did each epoch of a model go? It may still be in training.
-- about: training
-- empty: no epoch is complete yet
-- :model  a model id or the start of one; default: the newest model
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
WHERE epoch.model_id = :model
ORDER BY epoch.epoch

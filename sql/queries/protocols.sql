-- How much higher is the accuracy under the random protocol than under the grouped one?
-- For each data set and protocol: the model with the best validation macro-F1, single folds only if there is no other,
-- in its latest test evaluation. "unlike" are test images unlike any training image.
-- empty: no model was tested on the data set that it was trained on; run: mri evaluate
WITH tested AS (
    SELECT
        evaluation.*,
        model.protocol,
        model.val_f1,
        ROW_NUMBER() OVER (
            PARTITION BY evaluation.model_id ORDER BY evaluation.created_at DESC, evaluation.id DESC
        ) AS age
    FROM evaluation
    INNER JOIN model ON evaluation.model_id = model.id AND evaluation.dataset_digest = model.dataset_digest
    WHERE evaluation.split = 'test'
),
fold AS (
    SELECT sweep_model.model_id
    FROM sweep_model
    INNER JOIN sweep ON sweep_model.sweep_id = sweep.id
    WHERE sweep.kind = 'folds'
),
ranked AS (
    SELECT
        tested.*,
        ROW_NUMBER() OVER (
            PARTITION BY dataset_digest, protocol
            ORDER BY CASE WHEN model_id IN (SELECT model_id FROM fold) THEN 1 ELSE 0 END, val_f1 DESC, model_id
        ) AS place
    FROM tested
    WHERE age = 1
)
SELECT
    ranked.dataset_digest,
    ranked.protocol,
    ranked.model_id,
    ranked.n,
    ranked.accuracy,
    ranked.macro_f1,
    ranked.duplicate_free_n,
    ranked.duplicate_free_accuracy,
    ranked.unlike_n,
    ranked.unlike_accuracy
FROM ranked
INNER JOIN dataset ON ranked.dataset_digest = dataset.digest
WHERE ranked.place = 1
ORDER BY dataset.ingested_at DESC, dataset.digest, ranked.protocol DESC

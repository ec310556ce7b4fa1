-- How far is the mix of classes that a model found in the last days from the mix it was trained on?
-- "difference" is the share among scored images less the share among training images; "distance" is half the sum of
-- all absolute differences: 0 for the same mix, 1 for no class in common. Under the protocol "given" the training mix
-- is that of all images of the data set.
-- about: scorers
-- empty: this model scored nothing in these days; run: mri score FOLDER
-- :model  a model id or the start of one; default: the champion, without one the model that scored last
-- :days  so many days back from now; default: 7
WITH chosen AS (
    SELECT id, dataset_digest, protocol
    FROM model
    WHERE id = :model
),
scored AS (
    SELECT label, COUNT(*) AS n
    FROM prediction
    WHERE model_id = (SELECT id FROM chosen) AND status = 'scored' AND scored_at >= :since
    GROUP BY label
),
trained AS (
    SELECT
        dataset_class.label,
        CASE chosen.protocol
            WHEN 'random' THEN dataset_class.n_train
            WHEN 'grouped' THEN dataset_class.n_train_grouped
            ELSE dataset_class.n_ok
        END AS n
    FROM chosen
    INNER JOIN dataset_class ON chosen.dataset_digest = dataset_class.dataset_digest
),
mix AS (
    SELECT
        trained.label,
        COALESCE(scored.n, 0) AS scored,
        trained.n AS trained,
        1.0 * COALESCE(scored.n, 0) / (SELECT SUM(n) FROM scored) AS share,
        1.0 * trained.n / NULLIF((SELECT SUM(n) FROM trained), 0) AS training_share
    FROM trained
    LEFT JOIN scored ON trained.label = scored.label
    WHERE EXISTS (SELECT 1 FROM scored)
)
SELECT
    label,
    scored,
    trained,
    share,
    training_share,
    share - training_share AS difference,
    SUM(ABS(share - training_share)) OVER () / 2 AS distance
FROM mix
ORDER BY ABS(share - training_share) DESC, label

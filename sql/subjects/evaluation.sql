-- The latest test evaluation of a model, by default the champion's or, without a champion, the latest of all.
SELECT evaluation_id AS evaluation
FROM latest_evaluation
WHERE model_id = CAST(:model AS TEXT) OR (CAST(:model AS TEXT) IS NULL AND is_default = 1)

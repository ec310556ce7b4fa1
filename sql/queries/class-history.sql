-- How did each model do on a class, from the oldest model to the newest?
-- Uses the latest test evaluation of each model. "trained" is a day in UTC.
-- :label  a class, such as "Granuloma T1"; default: all classes
SELECT
    class_metric.label,
    SUBSTR(CAST(model.created_at AS TEXT), 1, 10) AS trained,
    model.id AS model_id,
    model_stage.stage,
    model.protocol,
    class_metric.f1,
    class_metric.f1_low,
    class_metric.f1_high
FROM class_metric
INNER JOIN latest_evaluation AS latest ON class_metric.evaluation_id = latest.evaluation_id
INNER JOIN model ON latest.model_id = model.id
INNER JOIN model_stage ON model.id = model_stage.model_id
WHERE class_metric.label = COALESCE(CAST(:label AS TEXT), class_metric.label)
ORDER BY class_metric.label, model.created_at, model.id

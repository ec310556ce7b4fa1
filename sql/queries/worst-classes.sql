-- Which ten classes of the champion have the lowest F1 in its latest test evaluation?
-- "groups" is the number of independent sources that the tested images of a class are from: with few, its figures
-- mean little.
-- about: evaluation
-- :model  a model id or the start of one; default: the champion, without one the model evaluated last
SELECT
    label,
    f1,
    f1_low,
    f1_high,
    precision,
    recall,
    support,
    n_groups AS "groups"
FROM class_metric
WHERE evaluation_id = :evaluation
AND support > 0
ORDER BY f1, label
LIMIT 10

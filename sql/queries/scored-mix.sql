-- What was scored in the last days, by predicted class, the most frequent first?
-- An image that a later run finds unchanged counts on the day it was scored. "probability" is the mean.
-- about: model
-- empty: nothing was scored in these days
-- :days  so many days back from now; default: 7
-- :model  a model id or the start of one; default: all models
SELECT
    label,
    COUNT(*) AS n,
    1.0 * COUNT(*) / SUM(COUNT(*)) OVER () AS share,
    AVG(probability) AS probability,
    MIN(probability) AS lowest
FROM prediction
WHERE
    status = 'scored'
    AND scored_at >= :since
    AND model_id = COALESCE(CAST(:model AS TEXT), model_id)
GROUP BY label
ORDER BY n DESC, label

-- What was scored in the last days, by predicted class, the most frequent first?
-- An image that a later run finds unchanged counts on the day it was scored. "probability" is the mean.
-- about: scorers
-- empty: nothing was scored in these days
-- :days  so many days back from now; default: 7
-- :model  a model id or the start of one; default: the champion, without one the model that scored last
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
    AND model_id = :model
GROUP BY label
ORDER BY n DESC, label

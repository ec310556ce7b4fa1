-- Which images that two models scored have another label now, the surest change first?
-- The same image is the same path with the same contents. Files about which one of the two gave no
-- answer are left out.
-- about: scorers
-- empty: no image that both models scored has another label
-- :model  a model id or the start of one; default: the champion, if not the other one; else the one that scored last
-- :other  a model id or the start of one; default: the champion, if not the first one; else the one that scored last
SELECT
    now.path,
    now.label,
    now.probability,
    before.label AS other_label,
    before.probability AS other_probability
FROM prediction AS now
INNER JOIN prediction AS before ON now.path = before.path AND now.sha256 = before.sha256
WHERE
    now.model_id = :model
    AND before.model_id = :other
    AND now.status = 'scored'
    AND before.status = 'scored'
    AND now.label <> before.label
ORDER BY now.probability DESC, now.path

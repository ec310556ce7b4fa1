-- How often is the champion right when it is so confident, in 15 bins, before and after calibration?
-- Calibration is good where accuracy is near confidence, the mean probability of the answers in a bin. The columns with
-- "raw" are before calibration. Empty bins are left out. The bins are those of
-- the report page and of calibration_error: the mean of |accuracy - confidence| over the bins, weighted by n.
-- about: evaluation
-- empty: this evaluation is older than the rows of its images; run: mri evaluate
-- :model  a model id or the start of one; default: the champion, without one the model evaluated last
WITH RECURSIVE bin (place) AS (
    SELECT 0
    UNION ALL
    SELECT place + 1 FROM bin WHERE place < 14
),
image AS (
    SELECT
        probability,
        uncalibrated,
        CASE WHEN predicted_label = true_label THEN 1.0 ELSE 0.0 END AS is_right
    FROM evaluated_image
    WHERE evaluation_id = :evaluation
),
answer AS (
    SELECT probability AS confidence, is_right, 1 AS is_calibrated FROM image
    UNION ALL
    SELECT uncalibrated, is_right, 0 FROM image
)
SELECT
    bin.place / 15.0 AS "from",
    (bin.place + 1) / 15.0 AS "to",
    COUNT(CASE WHEN answer.is_calibrated = 1 THEN 1 END) AS n,
    AVG(CASE WHEN answer.is_calibrated = 1 THEN answer.confidence END) AS confidence,
    AVG(CASE WHEN answer.is_calibrated = 1 THEN answer.is_right END) AS accuracy,
    COUNT(CASE WHEN answer.is_calibrated = 0 THEN 1 END) AS raw_n,
    AVG(CASE WHEN answer.is_calibrated = 0 THEN answer.confidence END) AS raw_confidence,
    AVG(CASE WHEN answer.is_calibrated = 0 THEN answer.is_right END) AS raw_accuracy
FROM bin
INNER JOIN answer
    ON
        answer.confidence >= bin.place / 15.0
        AND (answer.confidence < (bin.place + 1) / 15.0 OR bin.place = 14)
GROUP BY bin.place
ORDER BY bin.place

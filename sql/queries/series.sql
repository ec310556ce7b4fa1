-- What is the result for each DICOM or NIfTI series of the folder that was scored last, the lowest probability first?
-- "probability" is the mean of the calibrated probabilities over the scored and abstained images of the series; its
-- label is the class with the highest mean. "distance" is the median of theirs. "rejected" counts unreadable images and
-- slices that the choice of slices leaves out. "first_image" is one of its images. A run has series when it is finished.
-- about: run
-- empty: there is no DICOM or NIfTI series in this folder, or its run is not finished
WITH first_image AS (
    SELECT
        prediction.series,
        MIN(prediction.path) AS path
    FROM prediction
    INNER JOIN scoring_run ON prediction.model_id = scoring_run.model_id
    WHERE
        scoring_run.id = :run
        AND prediction.series IS NOT NULL
        AND SUBSTR(prediction.path, 1, LENGTH(scoring_run.folder) + 1) = scoring_run.folder || '/'
    GROUP BY prediction.series
)
SELECT
    series_prediction.patient,
    series_prediction.series,
    series_prediction.status,
    series_prediction.label,
    series_prediction.probability,
    series_prediction.reason,
    series_prediction.distance,
    series_prediction.n_scored AS scored,
    series_prediction.n_abstained AS abstained,
    series_prediction.n_rejected AS rejected,
    first_image.path AS first_image
FROM series_prediction
LEFT JOIN first_image ON series_prediction.series = first_image.series
WHERE series_prediction.run_id = :run
ORDER BY
    CASE WHEN series_prediction.probability IS NULL THEN 1 ELSE 0 END,
    series_prediction.probability,
    series_prediction.series

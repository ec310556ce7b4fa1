-- What has every evaluation said so far, newest first, and what remains without duplicates of training images?
SELECT
    created_at,
    id,
    model_id,
    split,
    n,
    accuracy,
    accuracy_low,
    accuracy_high,
    macro_f1,
    macro_f1_low,
    macro_f1_high,
    tumor_accuracy,
    contrast_accuracy,
    duplicate_free_n,
    duplicate_free_accuracy,
    duplicate_free_macro_f1
FROM evaluation
ORDER BY created_at DESC, id DESC

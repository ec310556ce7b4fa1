from mri_model.cli.main import main

main()

from core.ui.frame import main

main()

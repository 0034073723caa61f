from workspace.server import main

main()

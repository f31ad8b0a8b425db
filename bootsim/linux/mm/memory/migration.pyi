from bootsim.linux.mm.memory.tables import TablePages
from bootsim.linux.mm.migrate import MappedPages

class ProcessMigration(MappedPages):
    def __init__(self, pages: TablePages) -> None: ...

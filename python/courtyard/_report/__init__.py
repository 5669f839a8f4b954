"""What there is to see of spaces: which there are, what is in them, who uses, holds and awaits it.

For tools (the command line is written on it); nothing of it is public. Looking changes nothing: the
dead are told of, not recovered, and nothing that was pickled is loaded, but by ``loaded``.

``spaces()`` lists the files of this user's folder without entering them. ``survey(space)`` looks at
all objects and processes of one space at one moment; ``peek`` and ``loaded`` at the contents of one
object, and ``watch`` follows them. ``remove`` and ``remove_orphans`` take files away.
"""

from courtyard._report.content import loaded as loaded
from courtyard._report.content import peek as peek
from courtyard._report.content import watch as watch
from courtyard._report.inspection import A_NAME as A_NAME
from courtyard._report.inspection import ObjectInfo as ObjectInfo
from courtyard._report.inspection import ProcessInfo as ProcessInfo
from courtyard._report.inspection import Survey as Survey
from courtyard._report.inspection import statistics as statistics
from courtyard._report.inspection import survey as survey
from courtyard._report.listing import SpaceInfo as SpaceInfo
from courtyard._report.listing import enter as enter
from courtyard._report.listing import folder as folder
from courtyard._report.listing import look_into as look_into
from courtyard._report.listing import remove as remove
from courtyard._report.listing import remove_orphans as remove_orphans
from courtyard._report.listing import space_path as space_path
from courtyard._report.listing import spaces as spaces

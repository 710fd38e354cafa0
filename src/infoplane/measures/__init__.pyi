from infoplane.measures.estimate import Estimate as Estimate
from infoplane.measures.standalone import measure as measure
from infoplane.measures.standalone import measure_file as measure_file

package ext4

import "imprint/internal/fault"

func (v *Volume) Check(report fault.Report) {}

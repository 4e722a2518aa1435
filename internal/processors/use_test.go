package processors

import "testing"

func TestUse(t *testing.T) {
	before := Count()
	undo := Use(before + 3)
	if n := Count(); n != before+3 {
		t.Errorf("%d processors", n)
	}
	if undo(); Count() != before {
		t.Errorf("%d processors, there were %d", Count(), before)
	}
}

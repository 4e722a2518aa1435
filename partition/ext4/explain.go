package ext4

type atlas struct{}

func (v *Volume) newAtlas() *atlas { return nil }

package demostore

// For tests outside of the package, which may import demotest.
var (
	Base32     = base32
	HashNAR    = hashNAR
	RemoveAll  = removeAll
	SourcePath = sourcePath
)

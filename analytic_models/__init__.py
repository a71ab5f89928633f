"""Problems whose answer is known exactly: Gaussian targets, float64 and high precision, no Monte
Carlo.
"""

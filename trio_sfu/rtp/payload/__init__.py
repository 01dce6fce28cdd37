"""rtp/payload"""
